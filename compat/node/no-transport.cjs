// A preload that does nothing: what passes with it where kernel TCP can't connect needs no transport.
