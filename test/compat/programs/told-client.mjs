/** Tells what it was told. */
process.stdout.write(`${process.argv[2]}\n`);
