"""The second kind of space: chains of layers, whose kernels, widths, depths and strides differ."""
