"""Where the control process's keys lie in the keys folder, and the public halves that others read."""

from pathlib import Path

LOGIN_KEY = Path("control/login.key")
LISTENER_AUTHORITY, LISTENER_AUTHORITY_PUBLIC = (
    Path("control/listener-ca.pem"),
    Path("public/listener-ca.pem"),
)
RUN_AUTHORITY, RUN_AUTHORITY_PUBLIC = Path("control/run-client-ca.pem"), Path("public/run-client-ca.pem")
