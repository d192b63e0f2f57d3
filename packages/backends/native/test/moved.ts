import type { Program } from "@spikeroute/core"

/** The program with all buffers moved by `bytes` in a larger arena. */
export const moveBuffers = (program: Program.Program, bytes: number): Program.Program => ({
  ...program,
  arenaBytes: program.arenaBytes + bytes,
  buffers: program.buffers.map((buffer) => ({ ...buffer, offset: buffer.offset + bytes })),
})
