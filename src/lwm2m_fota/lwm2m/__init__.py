"""lwm2m"""
