// Whoever has no mouse scrolls with the arrow keys: what scrolls sideways must be reachable by the tab key.
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", 0);
    else target.removeAttribute("tabindex");
  }
});
// The theme wraps tables while the page loads.
addEventListener("load", () => {
  document.querySelectorAll(".md-typeset__scrollwrap, math[display=block]").forEach((region) => observer.observe(region));
});
