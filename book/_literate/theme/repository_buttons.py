"""One setting, the address `repository_url` in `_config.yml`, brings the repository and Binder buttons.

While it is empty there are none. Binder takes the version of Python from `runtime.txt`. Colab cannot work, since no
chapter installs anything, and Thebe names another host on every page.
"""

BINDER = "https://mybinder.org"


def add_buttons(app, config):
    options = config.html_theme_options
    if options.get("repository_url"):
        options["use_repository_button"] = True
        options["launch_buttons"] = {"binderhub_url": BINDER, "notebook_interface": "jupyterlab"}


def setup(app):
    app.connect("config-inited", add_buttons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
