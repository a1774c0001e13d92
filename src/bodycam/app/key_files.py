"""Where the control process's keys lie in the keys folder, and the public halves that others read."""

from pathlib import Path

LOGIN_KEY = Path("control/login.key")
LISTENER_AUTHORITY, LISTENER_AUTHORITY_PUBLIC = (
    Path("control/listener-ca.pem"),
    Path("public/listener-ca.pem"),
)
RUN_AUTHORITY, RUN_AUTHORITY_PUBLIC = Path("control/run-client-ca.pem"), Path("public/run-client-ca.pem")
INTERCEPTION_AUTHORITY, INTERCEPTION_AUTHORITY_PUBLIC = (
    Path("control/interception-ca.pem"),
    Path("public/interception-ca.pem"),
)
SSH_HOST_KEY, SSH_HOST_KEY_PUBLIC = Path("control/ssh-host.key"), Path("public/ssh-host.pub")
RUN_SSH_AUTHORITY, RUN_SSH_AUTHORITY_PUBLIC = Path("control/run-ssh-ca.key"), Path("public/run-ssh-ca.pub")
TARGET_SSH_AUTHORITY, TARGET_SSH_AUTHORITY_PUBLIC = (
    Path("control/target-ssh-ca.key"),
    Path("public/target-ssh-ca.pub"),
)
