"""Write the HTML page that `dvc plots show` and `dvc plots diff` fill: `.dvc/plots.html`.

DVC's own page loads Vega from the network. This one carries it, so that plots open without one.
The set-up makes it, because its 900 kB of JavaScript don't belong in git, and names it in
`.dvc/config.local`: where there was no set-up, DVC falls back on its own page.
"""

from pathlib import Path

from vl_convert import javascript_bundle

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Plots</title>
{refresh_tag}
<script>VEGA</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""

if __name__ == "__main__":
    vega = javascript_bundle("window.vegaEmbed = vegaEmbed;")  # the name that DVC's plots call
    Path(".dvc/plots.html").write_text(PAGE.replace("VEGA", vega), encoding="utf-8")
