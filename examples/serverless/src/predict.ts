/** The function's answers, independent of the platform: the class of a sample, or why it has none. */
import { existsSync } from "node:fs"
import { readFile, stat } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { InputError, load, type Model } from "@spikeroute/backend-wasm/infer"
import { loadModule } from "@spikeroute/backend-wasm/module"
import { quote } from "@spikeroute/core/text"

/** A status, headers, and the prediction or one line. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: { readonly error: string } | { readonly class: number; readonly steps: number }
}

/** The parts of a request that matter here. */
export interface Asked {
  readonly method: string
  readonly host: string
  /** The announced length of the body; 0 if it is not announced. */
  readonly length: number
  readonly body: AsyncIterable<Uint8Array>
}

export interface Predictor {
  /** The answer to a request. Reads the body to its end even if the request is refused; otherwise its connection could not be used again. */
  readonly answer: (asked: Asked) => Promise<Answer>
}

const refuse = (status: number, error: string, headers: Answer["headers"] = {}): Answer => ({
  status,
  headers,
  body: { error },
})

/** The most bytes read of a refused body. */
const mostRead = 2 ** 24

/** Whether a Host header is a host, with or without a port. */
const isHost = (host: string): boolean => /^[\w.:[\]-]+$/.test(host) && URL.canParse(`http://${host}`)

const predictorOf = (model: Model): Predictor => {
  const shape = [...(model.encoding === "frames" ? [model.timeSteps] : []), ...model.shape]
  const sampleBytes = shape.reduce((product, extent) => product * extent, 4)
  const predict = (sample: Uint8Array): Answer => {
    if (sample.length !== sampleBytes)
      return refuse(
        400,
        `the body has ${sample.length} bytes; a sample of ${shape.join("×")} float32s has ${sampleBytes}`,
      )
    const values = new Float32Array(new Uint8Array(sample).buffer)
    if (!values.every(Number.isFinite)) return refuse(400, "the sample has values that are not finite")
    try {
      const { classes, meanSteps } = model.predict(values, { margin: 4 })
      return { status: 200, body: { class: classes[0] as number, steps: meanSteps } }
    } catch (error) {
      if (error instanceof InputError) return refuse(400, error.message)
      throw error
    }
  }
  const answer = async ({ method, host, length: announced, body }: Asked): Promise<Answer> => {
    const bytes = new Uint8Array(sampleBytes)
    const close = { connection: "close" }
    let length = announced > mostRead ? announced : 0
    try {
      if (length <= mostRead)
        for await (const part of body) {
          if (length + part.length <= sampleBytes) bytes.set(part, length)
          length += part.length
          if (length > mostRead) break
        }
    } catch {
      return refuse(408, "the body did not arrive", close)
    }
    if (length > mostRead) return refuse(413, `a sample has ${sampleBytes} bytes`, close)
    if (!isHost(host)) return refuse(400, "the Host header is malformed")
    if (method !== "POST") return refuse(405, "POST a sample", { allow: "POST" })
    if (length > sampleBytes) return refuse(413, `a sample has ${sampleBytes} bytes`)
    return predict(bytes.subarray(0, length))
  }
  return { answer }
}

/**
 * Reads the kernels and a program file, as `bun run export RUN --format program --batch-size 1` writes it.
 *
 * Rejects with a one-line error if the file is not a program that can be served.
 */
export const open = async (program: string): Promise<Predictor> => {
  const fail = (reason: string): never => {
    throw new Error(`${quote(program)} ${reason}`)
  }
  // In a bundle, the kernels lie beside it.
  const beside = fileURLToPath(new URL("./spikeroute.wasm", import.meta.url))
  const kernels = existsSync(beside) ? readFile(beside).then((bytes) => WebAssembly.compile(bytes)) : loadModule()
  const [module, file] = await Promise.all([
    kernels,
    // Opening a pipe would wait for a writer.
    stat(program)
      .then((found) => (found.isFile() ? readFile(program) : Promise.reject({ code: "it is not a file" })))
      .catch((error) => fail(`cannot be read: ${error.code}`)),
  ])
  const model = (() => {
    try {
      return load(module, file)
    } catch (error) {
      return fail(`cannot be served: ${(error as Error).message}`)
    }
  })()
  if (model.batchSize !== 1) fail(`takes ${model.batchSize} samples at once: export it with --batch-size 1`)
  return predictorOf(model)
}

/** The port in the environment. */
export const portOf = (text = "8080"): number => {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65535)
    throw new Error(`PORT is ${quote(text)}; it must be a whole number from 0 to 65535`)
  return Number(text)
}

/** The answer if something failed that is not the client's fault. */
export const failed = (error: unknown): Answer => {
  console.error(`error: ${error instanceof Error ? error.message : quote(error)}`)
  return refuse(500, "something went wrong here")
}
