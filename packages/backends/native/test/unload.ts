/** `unload LIBRARY THREADS`: loads the library, starts threads, unloads it, and prints whether it is still mapped. Linux and Bun only. */
import { dlopen } from "bun:ffi"
import { readFileSync } from "node:fs"

const [path, threads] = process.argv.slice(2) as [string, string]
const library = dlopen(path, { spikeroute_start: { args: ["i32"], returns: "i32" } })
library.symbols.spikeroute_start(Number(threads))
library.close()
console.log(readFileSync("/proc/self/maps", "utf8").includes(path))
