"""Name what the theme leaves without a name for screen readers."""


def labelled(output):
    """Give the dialog of the search a label."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"', 1)


def on_post_page(output, **_):
    """Name it on every page."""
    return labelled(output)


def on_post_template(output_content, **_):
    """Name it on the page that says that there is none."""
    return labelled(output_content)
