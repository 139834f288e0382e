"""The review console: what reviewers and operators see in a browser.

A process of its own without models, over the same store as the commands; the rules of decisions are the
store's. Each page is a module of `pages`; `guard` is what stands before all of them.
"""
