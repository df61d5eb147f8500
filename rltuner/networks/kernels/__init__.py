"""Tensors in, tensors out: what the compiled kernels do for torch on the CPU. Only the room `networks` comes in here.

`recurrence` is an LSTM layer, `output_layer` what is made of its hidden states, `composing` a composed batch, `gradients`
a gradient step's share. The compiled code below them is in `compiled`.
"""
