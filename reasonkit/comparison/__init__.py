"""The ways side by side: which parts a comparison has, how they are run, what they came to.

`parts` is the table of parts and makes commands of them, `costs` says what they spend and may
spend, `process` runs each in a process of its own, `probes` asks their models what was not trained
on, and `rows` and `findings` make numbers and sentences of what they left behind.
"""
