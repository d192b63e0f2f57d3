/** What the function answers, whoever calls it: the class of a sample, or why it has none. */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { InputError, load, type Model } from "@spikeroute/backend-wasm/infer"
import { loadModule } from "@spikeroute/backend-wasm/module"

/** A status, and one line or the prediction. */
export interface Answer {
  readonly status: number
  readonly body: { readonly error: string } | { readonly class: number; readonly steps: number }
}

export interface Predictor {
  /** How many bytes a sample has: float32s, little-endian. */
  readonly sampleBytes: number
  readonly predict: (sample: Uint8Array) => Answer
}

const refuse = (error: string): Answer => ({ status: 400, body: { error } })

const predictorOf = (model: Model): Predictor => {
  const shape = [...(model.encoding === "frames" ? [model.timeSteps] : []), ...model.shape]
  const sampleBytes = shape.reduce((product, extent) => product * extent, 4)
  return {
    sampleBytes,
    predict: (sample) => {
      if (sample.length !== sampleBytes)
        return refuse(`the body has ${sample.length} bytes; a sample of ${shape.join("×")} float32s has ${sampleBytes}`)
      const values = new Float32Array(new Uint8Array(sample).buffer)
      if (!values.every(Number.isFinite)) return refuse("the sample has values that are not finite")
      try {
        const { classes, meanSteps } = model.predict(values, { margin: 4 })
        return { status: 200, body: { class: classes[0] as number, steps: meanSteps } }
      } catch (error) {
        if (error instanceof InputError) return refuse(error.message)
        throw error
      }
    },
  }
}

/** Reads the kernels and a program file, as `bun run export RUN --format program --batch-size 1` writes it. */
export const open = async (program: string): Promise<Predictor> => {
  // A bundle has the kernels beside it.
  const beside = fileURLToPath(new URL("./spikeroute.wasm", import.meta.url))
  const kernels = existsSync(beside) ? readFile(beside).then((bytes) => WebAssembly.compile(bytes)) : loadModule()
  const [module, file] = await Promise.all([kernels, readFile(program)])
  return predictorOf(load(module, file))
}
