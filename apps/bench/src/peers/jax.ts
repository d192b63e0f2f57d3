/**
 * The jax-js process: an iteration of `mlp` under SLTT. Its backward pass is written by hand, because jax-js cannot define the derivative of
 * a spike; the functions of a time step are compiled by its `jit`. peers/serve.py describes the messages.
 */
import { readFileSync, readSync, writeSync } from "node:fs"
import { defaultDevice, init, jit, nn, numpy as np } from "@jax-js/jax"
import { Safetensors } from "@spikeroute/core"
import { Effect } from "effect"

type Tensor = np.Array

await init("wasm")
defaultDevice("wasm")

/** Update, fire, reset. Returns new arrays and consumes its arguments. */
const neuron = (x: Tensor, v: Tensor, decay: number) => {
  const u = v.mul(decay).add(x)
  const spikes = np.greaterEqual(u.ref, 1).astype(np.float32)
  return { u: u.ref, spikes: spikes.ref, v: u.sub(spikes) }
}

const surrogate = (u: Tensor) => np.maximum(np.subtract(1, np.abs(u.sub(1))), 0)

interface Parameters {
  readonly [name: string]: Tensor
}

/** One time step of both layers: returns the loss, and the gradients of the parameters and of the first layer's input current. */
const stepOf = (decay: number) =>
  jit((current: Tensor, labels: Tensor, v1: Tensor, v2: Tensor, w2: Tensor, b2: Tensor, w3: Tensor, b3: Tensor) => {
    const first = neuron(current, v1, decay)
    const second = neuron(np.matmul(first.spikes.ref, w2.ref).add(b2), v2, decay)
    const logits = np.matmul(second.spikes.ref, w3.ref).add(b3)
    const logSoftmax = nn.logSoftmax(logits)
    const loss = np.sum(logSoftmax.ref.mul(labels.ref)).mul(-1)
    const dLogits = np.exp(logSoftmax).sub(labels)
    const du2 = np.matmul(dLogits.ref, np.transpose(w3)).mul(surrogate(second.u))
    const du1 = np.matmul(du2.ref, np.transpose(w2)).mul(surrogate(first.u))
    return {
      ...{ loss, v1: first.v, v2: second.v, du1 },
      ...{ rate1: np.mean(first.spikes.ref), rate2: np.mean(second.spikes.ref) },
      w3: np.matmul(np.transpose(second.spikes), dLogits.ref),
      b3: np.sum(dLogits, 0),
      w2: np.matmul(np.transpose(first.spikes), du2.ref),
      b2: np.sum(du2, 0),
    }
  })

const plus = jit((a: Tensor, b: Tensor) => a.add(b))

const adam = jit((parameter: Tensor, gradient: Tensor, m: Tensor, v: Tensor, rate: Tensor, scale: Tensor) => {
  const mean = m.mul(0.9).add(gradient.ref.mul(0.1))
  const square = v.mul(0.999).add(gradient.ref.mul(gradient).mul(0.001))
  const change = mean.ref.mul(rate).div(np.sqrt(square.ref.mul(scale)).add(1e-8))
  return { parameter: parameter.sub(change), m: mean, v: square }
})

const names = ["w1", "b1", "w2", "b2", "w3", "b3"] as const

const open = (file: string) => {
  const { tensors, metadata } = Effect.runSync(Safetensors.decode(new Uint8Array(readFileSync(file)), file))
  if (metadata.model !== "mlp" || metadata.policy !== "sltt") throw new Error("only mlp under sltt is written by hand")
  const timeSteps = Number(metadata.timeSteps)
  const learningRate = Number(metadata.learningRate)
  const given = (name: string) => tensors.get(name) as Safetensors.StoredTensor
  const labelNumbers = given("labels").values
  const batch = labelNumbers.length
  const array = (values: Float32Array, shape: ReadonlyArray<number>) =>
    np.array(new Float32Array(values), { shape: [...shape] })
  const oneHot = new Float32Array(batch * 10)
  labelNumbers.forEach((label, n) => {
    oneHot[n * 10 + label] = 1 / (batch * timeSteps)
  })
  // The gradient of the loss is (softmax − label) / (batch · T); the scaling is applied once below.
  const labels = array(
    oneHot.map((value) => value * batch * timeSteps),
    [batch, 10],
  )
  const inputs = array(given("inputs").values, [batch, 784])
  const parameters: Record<string, Tensor> = {}
  names.forEach((name, i) => {
    const { shape, values } = given(`parameter.${i}`)
    // PyTorch's weights are [outputs, inputs].
    parameters[name] = shape.length === 2 ? np.transpose(array(values, shape)) : array(values, shape)
  })
  const moments = Object.fromEntries(
    names.map((name) => [name, { m: np.zerosLike(parameters[name]!.ref), v: np.zerosLike(parameters[name]!.ref) }]),
  )
  const step = stepOf(1 - 1 / Number(metadata.tau))
  const currentOf = jit((x: Tensor, w: Tensor, b: Tensor) => np.matmul(x, w).add(b))
  const firstGradient = jit((x: Tensor, du: Tensor) => ({ w1: np.matmul(np.transpose(x), du.ref), b1: np.sum(du, 0) }))
  let update = 0
  let rates: Array<number> = []

  const iterate = async (watched: boolean): Promise<number> => {
    const p = parameters as Parameters & Record<(typeof names)[number], Tensor>
    // The input is constant over time, so its layer runs once, forward and backward.
    const current = currentOf(inputs.ref, p.w1.ref, p.b1.ref)
    let v1 = np.zeros([batch, 1000])
    let v2 = np.zeros([batch, 1000])
    let sums: Record<string, Tensor> | undefined
    rates = [0, 0]
    for (let t = 0; t < timeSteps; t++) {
      const { rate1, rate2, ...out } = step(current.ref, labels.ref, v1, v2, p.w2.ref, p.b2.ref, p.w3.ref, p.b3.ref)
      v1 = out.v1
      v2 = out.v2
      if (watched) {
        rates[0]! += ((await rate1.jsAsync()) as number) / timeSteps
        rates[1]! += ((await rate2.jsAsync()) as number) / timeSteps
      } else {
        rate1.dispose()
        rate2.dispose()
      }
      const { loss, du1, w2, b2, w3, b3 } = out
      const next: Record<string, Tensor> = { loss, du1, w2, b2, w3, b3 }
      const before = sums
      sums =
        before === undefined
          ? next
          : Object.fromEntries(Object.entries(next).map(([name, value]) => [name, plus(before[name]!, value)]))
    }
    v1.dispose()
    v2.dispose()
    current.dispose()
    const { loss, du1, ...rest } = sums as Record<string, Tensor>
    const gradients: Record<string, Tensor> = { ...rest, ...firstGradient(inputs.ref, du1!) }
    update++
    const share = 1 / (batch * timeSteps)
    const rate = learningRate / (1 - 0.9 ** update)
    for (const name of names) {
      const { m, v } = moments[name]!
      const next = adam(
        ...([parameters[name]!, gradients[name]!.mul(share), m, v] as const),
        ...([np.array(rate), np.array(1 / (1 - 0.999 ** update))] as const),
      )
      parameters[name] = next.parameter
      moments[name] = { m: next.m, v: next.v }
    }
    await Promise.all(names.map((name) => parameters[name]!.blockUntilReady()))
    return ((await loss!.jsAsync()) as number) * share
  }
  return { iterate, rates: () => rates }
}

type Opened = ReturnType<typeof open>

const opened = new Map<number, Opened>()

const answer = async (message: Record<string, unknown>): Promise<object> => {
  if (message.probe) return {}
  if (message.threads) return {}
  if (message.open) {
    const one = open(message.file as string)
    opened.set(message.open as number, one)
    return { loss: await one.iterate(true), firingRates: one.rates() }
  }
  if (message.run) {
    const one = opened.get(message.run as number) as Opened
    const [uncounted, times] = [message.uncounted as number, message.times as number]
    for (let i = 0; i < uncounted; i++) await one.iterate(false)
    const start = performance.now()
    let loss = 0
    for (let i = 0; i < times; i++) loss = await one.iterate(false)
    return { seconds: (performance.now() - start) / 1000 / times, loss }
  }
  opened.delete(message.close as number)
  return {}
}

const buffer = new Uint8Array(1 << 16)
let text = ""
for (;;) {
  const length = readSync(0, buffer)
  if (length === 0) break
  text += new TextDecoder().decode(buffer.subarray(0, length))
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
    const line = text.slice(0, end)
    text = text.slice(end + 1)
    const said = await answer(JSON.parse(line)).catch((error: unknown) => ({ error: String(error) }))
    writeSync(1, `${JSON.stringify(said)}\n`)
  }
}
