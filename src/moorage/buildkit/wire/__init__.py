"""Messages of BuildKit's protocol, a module for each service; what nobody here uses is left out."""
