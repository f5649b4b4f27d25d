"""The main module of a process that a script of `lamina run` starts: the same script, with the same Keras."""

from lamina.generations.run import again

again(globals())
