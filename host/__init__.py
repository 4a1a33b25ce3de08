"""Host: a computer that talks to a board over a serial port. No torch, no Amaranth; pyserial."""
