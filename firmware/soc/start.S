/* Reset: PicoRV32 begins at address 0 with its stack pointer at the end of the memory. */
    .section .start, "ax"
    .globl _start
_start:
    call main
    ebreak              /* the processor stops, and the design shows it */
