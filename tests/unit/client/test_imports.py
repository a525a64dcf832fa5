import subprocess
import sys

PROGRAM = """
import sys
import indelible_client, indelible_client.cli.main
foreign = {"indelible_server", "sqlalchemy", "alembic", "lxml", "structlog", "pyexiv2", "PIL"}
print(sorted(foreign & {name.partition(".")[0] for name in sys.modules}))
"""


def test_the_thin_client_imports_nothing_of_the_server() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"
