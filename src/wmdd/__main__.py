"""``python -m wmdd``."""

import sys

from wmdd.cli.main import main

sys.exit(main())
