/** The facts about backends and runtimes in FEATURES.md, as data. Which cases pass is measured, not stated here. */

export interface BackendLine {
  readonly name: string
  /** Whether the backend allocates memory outside JavaScript, which the conformance suite then checks for leaks. */
  readonly memory: "own" | "shared"
  readonly threads: string
  readonly results: string
  /** Support of runtimes other than Bun, where the conformance suite runs, and the test that shows it. */
  readonly runtimes: Readonly<Record<string, Runtime>>
}

export interface Runtime {
  readonly says: string
  /** The test that shows it. */
  readonly test?: string
}

const machine = "as many as the machine has"
const near = "within 1e-4 of the reference"
/** The test that runs the packed packages under each runtime. */
const portable = "test/portable/test/packages.test.ts"
const works = { says: "✓", test: portable }
const never = { says: "–" }

export const backends: ReadonlyArray<BackendLine> = [
  {
    ...{ name: "native", memory: "own", threads: machine },
    results: `${near}; the same bits on any number of threads`,
    runtimes: { Node: { says: "✓ (koffi)", test: portable }, Deno: works, Chromium: never, workerd: never },
  },
  {
    ...{ name: "wasm", memory: "own", threads: machine },
    results: "as `native`, and the bits of its forward direction at every vector width",
    runtimes: { Node: works, Deno: works, Chromium: works, workerd: works },
  },
  {
    ...{ name: "webgpu", memory: "own", threads: "the GPU's", results: `${near}; the same bits in every run` },
    runtimes: { Chromium: { says: "✓", test: "packages/backends/webgpu/test/browser.test.ts" }, workerd: never },
  },
  {
    ...{ name: "tfjs-cpu", memory: "own", threads: "1", results: near },
    runtimes: { Node: works, Deno: works, workerd: never },
  },
  {
    ...{ name: "tfjs-wasm", memory: "own", threads: machine, results: near },
    runtimes: { Deno: { says: "✓ *", test: portable }, workerd: never },
  },
  {
    ...{ name: "tfjs-webgpu", memory: "own", threads: "the GPU's", results: near },
    runtimes: { Chromium: { says: "✓", test: "packages/backends/tfjs/test/browser.test.ts" }, workerd: never },
  },
  {
    ...{ name: "reference", memory: "shared", threads: "1", results: "the oracle" },
    runtimes: { Node: works, Deno: works },
  },
]

/** Columns of the runtime table, after Bun. */
export const runtimes: ReadonlyArray<string> = ["Node", "Deno", "Chromium", "workerd"]

/** Loss terms, by the names of their conformance cases. */
export const losses: ReadonlyArray<string> = [
  ...["crossEntropy", "meanSquaredError", "own", "spikeCount", "firingRate", "firingRateBounds"],
  "several",
]

export interface OpLine {
  readonly title: string
  /** Kernels by the part of their names before the dot; `bias` belongs to every op with a bias. */
  readonly kernels: ReadonlyArray<string>
  readonly notes: string
}

export const ops: ReadonlyArray<OpLine> = [
  { title: "linear", kernels: ["linear", "bias"], notes: "over the last axis; bias optional" },
  {
    title: "conv2d, conv1d, convTranspose2d, convTranspose1d",
    kernels: ["conv2d", "bias"],
    notes:
      "stride, padding and dilation as a number or a pair; groups up to depthwise; images are [height, width, channels]",
  },
  {
    title: "scaled weight-standardised conv2d",
    kernels: ["weightStandardization", "conv2d"],
    notes: "gain per output channel; standardised once per batch",
  },
  {
    title: "batchNorm",
    kernels: ["batchNorm"],
    notes: "statistics of each time step; running statistics for inference",
  },
  {
    title: "averagePool, sumPool, maxPool, adaptiveAveragePool",
    kernels: ["averagePool", "adaptiveAveragePool", "maxPool"],
    notes: "of images and sequences; kernel, stride, padding, dilation",
  },
  { title: "flatten", kernels: [], notes: "costs nothing: it has no kernel" },
  {
    title: "upsample, reshape, transpose, slice, concatenate",
    kernels: ["rearrange"],
    notes: "one copy; nearest upsampling; spikes stay spikes",
  },
  { title: "dropout", kernels: ["dropout", "elementwise"], notes: "one mask for all time steps of a batch" },
  { title: "add (residual)", kernels: ["elementwise"], notes: "" },
  { title: "scale", kernels: ["elementwise"], notes: "constant" },
  { title: "gain", kernels: ["elementwise"], notes: "learnable" },
  {
    title: "neurons, read-outs, elementwise",
    kernels: ["elementwise"],
    notes: "expressions: your own neurons, surrogates and elementwise layers too",
  },
  { title: "recurrent, delay", kernels: [], notes: "cost nothing: an earlier value is read where it is stored" },
  { title: "loss", kernels: ["loss"], notes: "cross-entropy and squared error, mixed" },
  { title: "sgd, adam, adamw, lion", kernels: ["elementwise"], notes: "expressions: your own optimisers too" },
]

/** Kernels that belong to no op but are used by programs. */
export const bookkeeping: ReadonlyArray<string> = ["spikes", "zero", "copy", "eligibility"]

/** Policies as users write them, and the names of their conformance cases. */
export const policies: ReadonlyArray<{ readonly title: string; readonly cases: ReadonlyArray<string> }> = [
  { title: "`Policy.bptt`", cases: ["bptt"] },
  { title: "`Policy.tbptt(w)`", cases: ["tbptt(3)"] },
  { title: "`Policy.sltt`", cases: ["sltt"] },
  { title: "`Policy.slttK(k)`", cases: ["slttk(2)"] },
  { title: "`Policy.ottt`", cases: ["ottt", "slttk(2)-trace(0.8)"] },
  { title: "`Policy.eprop`", cases: ["eprop", "bptt-eligible"] },
  { title: "`Policy.rate`", cases: ["rate"] },
  {
    title: "`….checkpoint(n)`",
    cases: ["bptt-checkpoint", "tbptt(3)-checkpoint(2)-last(2)", "bit-identical with checkpoints"],
  },
  { title: "`….recompute`", cases: ["bit-identical recomputed"] },
  { title: "your own", cases: ["bptt-detach(reset)-every(2)", "tbptt(3)-first"] },
  { title: "inference", cases: ["inference"] },
]
