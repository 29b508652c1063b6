"""Stand-ins of FreshBooks and Clarity eCommerce on loopback, for tests, demonstrations and dry runs.

They share no code with the clients in `connectors`: a stand-in that did could not show a client's mistake.
Nothing is imported here, so that the generator can be used without starting a web server.
"""
