/** Trains a network to recognise which of three tones a signal is, and predicts with it, using promises only. */
import { Graph, leakyReadout, lif, linear, train } from "spikeroute"

const tones = [3, 5, 8]
/** Noisy tones of 16 time steps; the classes take turns. */
const record = (count: number) => {
  const labels = Uint8Array.from({ length: count }, (_, n) => n % tones.length)
  const inputs = Float32Array.from({ length: count * 16 }, (_, i) => {
    const phase = (2 * Math.PI * (i % 16) * tones[labels[i >> 4]!]!) / 16
    return Math.sin(phase + (i >> 4)) + 0.3 * (Math.sin(i * 12.9898) % 1)
  })
  return { inputs, labels }
}

const network = Graph.sequential(linear({ features: 64 }), lif({ tau: 2 }), linear({ features: 3 }), leakyReadout())
await using trainer = await train.create(network, { shape: [16], batchSize: 25, timeSteps: 6 })
for await (const { epoch, loss, accuracy = 0 } of trainer.epochs(record(300), { epochs: 8, learningRate: 0.005 }))
  console.log(`epoch ${epoch}: loss ${loss.toFixed(3)}, ${(100 * accuracy).toFixed(0)} %`)

const { inputs, labels } = record(90)
const { classes } = await trainer.predict(inputs)
const right = classes.filter((each, n) => each === labels[n]).length
console.log(`${((100 * right) / labels.length).toFixed(0)} % of ${labels.length} others are right`)
