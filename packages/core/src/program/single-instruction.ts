import { type Instruction, type Program, segmentNames } from "./program.ts"

/** A program of one instruction, in the segment `begin`: to try or to time a kernel alone. */
export const singleInstruction = (
  instruction: Pick<Instruction, "kernel" | "operands" | "attributes">,
  memory: Pick<Program, "buffers" | "arenaBytes">,
): Program => ({
  mode: "training",
  policy: "none",
  batchSize: 1,
  microBatches: 1,
  timeSteps: 1,
  encoding: "static",
  window: 1,
  checkpointInterval: 1,
  trainedSteps: 0,
  loss: undefined,
  optimizer: undefined,
  neurons: [],
  ...memory,
  segments: segmentsOf(instruction),
})

/** The segments of such a program. */
export const segmentsOf = (
  instruction: Pick<Instruction, "kernel" | "operands" | "attributes">,
): Program["segments"] => ({
  ...(Object.fromEntries(segmentNames.map((name) => [name, []])) as unknown as Program["segments"]),
  begin: [{ ...instruction, node: instruction.kernel, phase: "forward" }],
})
