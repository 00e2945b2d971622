"""Labelling: people say whom or what they recognise in single images, blind to model and prompt.

The human side of an audit: a label study is declared, opened and answered like a study of pairs, in modules of its own.
"""
