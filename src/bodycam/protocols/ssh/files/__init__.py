"""Files over SSH: SFTP version 3 and the old scp protocol, each file operation judged by itself."""
