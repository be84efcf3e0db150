"""The server side: registrations, packages and the updater."""
