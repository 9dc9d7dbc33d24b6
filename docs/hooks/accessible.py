"""Name what the theme leaves without a name for screen readers."""


def on_post_page(output, **_):
    """Give the dialog of the search a label."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"', 1)
