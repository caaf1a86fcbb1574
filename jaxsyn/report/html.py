"""A report as one HTML file that needs nothing else."""

import base64

import jinja2

from jaxsyn.report.document import ADDRESS, PRINTED, Figure, Page

_KINDS = {"svg": "image/svg+xml", "png": "image/png"}


def render(page: Page) -> str:
    """Lays out a page. All of its words are escaped, all of its figures inlined."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jaxsyn.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["address"] = _address
    environment.filters["pieces"] = ADDRESS.split  # Every other is an address.
    environment.tests["of"] = lambda item, kind: type(item).__name__ == kind
    return environment.get_template("report.html").render(page=page, printed=PRINTED)


def _address(figure: Figure) -> str:
    """A figure as an address that holds it; as such an SVG can neither run nor load."""
    data = base64.b64encode(figure.image).decode()
    return f"data:{_KINDS[figure.suffix]};base64,{data}"
