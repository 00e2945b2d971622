"""The pages: thin. Each reads from the ledger, calls a pure function and draws its result.

`rate` and `dashboard` stand in Gradio's shell, `home` and `gallery` are plain HTML of ours; all wear assets/house.css.
"""
