/* The programs that are sent, as files of their own; see app.c. */
    .section .rodata
    .macro program name, file
    .global program_\name, program_\name\()_size
program_\name:
    .incbin "\file"
program_\name\()_end:
    .align 2
program_\name\()_size:
    .word program_\name\()_end - program_\name
    .endm

    program spectrum, "spectrum.py"
    program trend, "trend.py"
    program image, "image.c"
