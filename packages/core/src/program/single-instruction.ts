import { argument, has, type Kind } from "../arguments.ts"
import { type Instruction, type Program, segmentNames } from "./program.ts"

const someMemory: Kind = ["memory, as { buffers, arenaBytes }", /* @__PURE__ */ has("buffers", "arenaBytes")]
const anInstruction: Kind = [
  "an instruction, as { kernel, operands, attributes }",
  /* @__PURE__ */ has("kernel", "operands"),
]

/** A program of one instruction, in the segment `begin`, to test or time a single kernel. */
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
  ...argument(memory, someMemory),
  segments: segmentsOf(argument(instruction, anInstruction)),
})

/** The segments of a program of one instruction. */
export const segmentsOf = (
  instruction: Pick<Instruction, "kernel" | "operands" | "attributes">,
): Program["segments"] => ({
  ...(Object.fromEntries(segmentNames.map((name) => [name, []])) as unknown as Program["segments"]),
  begin: [{ ...instruction, node: instruction.kernel, phase: "forward" }],
})
