"""``python -m tnalgebra`` is the command line."""

from tnalgebra.cli import main

if __name__ == "__main__":  # worker processes import this module too
    main()
