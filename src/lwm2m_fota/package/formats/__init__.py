"""package/formats"""
