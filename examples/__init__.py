"""Small programs to read and to run: a bot, a consumer of decisions, a router of one's own."""
