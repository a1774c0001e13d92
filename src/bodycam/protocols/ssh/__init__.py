"""SSH: commands, shells, files and forwards of hosts (RFC 4250 to 4254), on both sides by asyncssh."""
