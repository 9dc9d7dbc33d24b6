"""``python -m tnalgebra`` is the command line."""

from tnalgebra.cli import main

main()
