"""How near a bar is to bars of real music, for one press and for all of them."""
