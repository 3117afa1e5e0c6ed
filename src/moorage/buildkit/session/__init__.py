"""What a client brings to its builds over the connection that it holds open for them.

On that connection the client is the server: files (``filesync``), secrets, agents (``ssh``),
credentials and what it uploads are asked of it when a step wants them; outputs are sent to it.
"""
