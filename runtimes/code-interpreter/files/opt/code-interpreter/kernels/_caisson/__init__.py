"""What IPython shows, as data for clients that draw it themselves."""
