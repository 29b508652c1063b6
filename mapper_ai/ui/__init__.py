"""The app: pages read, show and call the services; nothing is decided or stored here."""
