/** A training session: trains batch by batch; between batches it can be inspected, timed and paused. */
import { Graph, Key, OptionError, Train } from "@spikeroute/core"
import { batches } from "@spikeroute/datasets/batches"
import { Effect, Latch, Semaphore, Stream } from "effect"
import { type Answer, type Drawing, type PolicyName, policyNames, type Request, type Settings } from "../protocol.ts"
import { makeObserver, observe } from "./activity.ts"
import { batchSize, graphOf, learningRate, policyOf, trainingOptions } from "./network.ts"
import { dataOf, tasks } from "./tasks.ts"

/** Training pauses after this many updates until the user resumes it, so that an open page does not run forever. */
const updatesAtOnce = 400
const updatesBetweenTests = 25
/** Iterations are timed in rounds of one per policy, for at least this time and this many rounds. */
const timing = { milliseconds: 1000, rounds: 5 } as const

/** Yields to the event loop, so that the worker receives messages. */
const channel = new MessageChannel()
const listen = Effect.promise(
  () =>
    new Promise((resolve) => {
      channel.port1.onmessage = resolve
      channel.port2.postMessage(undefined)
    }),
)

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** Prepares a session. Its memory is released with the scope; `run` trains until interrupted. */
export const makeSession = (
  settings: Settings,
  drawings: ReadonlyArray<Drawing>,
  backend: string,
  post: (answer: Answer) => void,
) =>
  Effect.gen(function* () {
    const task = tasks[settings.task]
    const { timeSteps } = settings
    const key = Key.make(0)
    const graph = yield* graphOf(task)
    const data = dataOf(settings, drawings)
    const options = trainingOptions(task, timeSteps)
    const trainer = yield* Train.make(graph, policyOf(settings), { ...options, key })
    const tester = yield* Train.makePredictor(graph, { batchSize: 50, timeSteps, encoding: task.encoding })
    const observer = yield* makeObserver(graph, task, timeSteps)
    /** Open while training runs. */
    const going = yield* Latch.make(true)
    /** Serialises access to the network. */
    const lock = yield* Semaphore.make(1)

    const epochs = Stream.iterate(0, (epoch) => epoch + 1).pipe(
      Stream.flatMap((epoch) =>
        batches(data, "train", {
          batchSize,
          timeSteps,
          key: Key.fold(key, "epoch", epoch),
          remainder: data.train.size < batchSize ? "pad" : "drop",
        }),
      ),
    )

    const test = Effect.gen(function* () {
      yield* tester.load(yield* trainer.save)
      let hits = 0
      yield* Stream.runForEach(
        batches(data, "test", { batchSize: 50, timeSteps, remainder: "pad" }),
        ({ inputs, labels, size }) =>
          Effect.map(tester.predict(inputs), ({ outputs }) => {
            hits += Train.hits(outputs, labels, 1, size)
          }),
      )
      return hits / data.test.size
    })

    let update = 0
    const run = Stream.runForEach(epochs, (batch) =>
      Effect.gen(function* () {
        yield* listen
        yield* going.await
        yield* lock.withPermit(
          Effect.gen(function* () {
            const start = performance.now()
            const { loss, outputs } = yield* trainer.step(batch, { update: ++update, learningRate })
            const milliseconds = performance.now() - start
            const accuracy = Train.hits(outputs, batch.labels, 1) / batchSize
            post({ type: "trained", update, loss, accuracy, milliseconds })
            if (update % updatesBetweenTests === 0) post({ type: "tested", update, accuracy: yield* test })
          }),
        )
        if (update % updatesAtOnce === 0) yield* pause
      }),
    )

    const pause = Effect.andThen(
      going.close,
      Effect.sync(() => post({ type: "paused" })),
    )

    /** Why a `look` request is invalid: drawings are only for digits, and the sample must exist. */
    const faultOf = ({ sample, ink }: Extract<Request, { readonly type: "look" }>): OptionError | undefined => {
      const refuse = (option: string, value: unknown, expected: string) =>
        new OptionError({ owner: "the request", option, value, expected })
      if (ink !== undefined)
        return task.encoding === "static" ? undefined : refuse("ink", ink, "no drawing for the camera task")
      const last = data.test.size - 1
      return sample > last ? refuse("sample", sample, `a whole number from 0 to ${last}`) : undefined
    }

    const look = ({ sample, ink }: Extract<Request, { readonly type: "look" }>) =>
      lock.withPermit(
        Effect.gen(function* () {
          yield* observer.load(yield* trainer.save)
          let input = ink
          if (input === undefined) {
            input = new Float32Array(
              graph.input.reduce((size, extent) => size * extent, 1) * (task.encoding === "frames" ? timeSteps : 1),
            )
            yield* data.test.write([sample], undefined, input)
          }
          const label = ink === undefined ? data.test.label(sample) : undefined
          post({ type: "activity", activity: yield* observe(observer, graph, input, label) })
        }),
      )

    /** Times an iteration under each policy, without changing the weights. */
    const measure = lock.withPermit(
      Effect.gen(function* () {
        const weights = yield* trainer.save
        const [batch] = yield* Stream.runCollect(Stream.take(epochs, 1))
        const timed = yield* Effect.forEach(policyNames, (policy) =>
          Effect.gen(function* () {
            const { step, loadParameters } = yield* Train.make(graph, policyOf({ ...settings, policy }), {
              ...options,
              key,
            })
            yield* loadParameters(weights)
            return { policy, step, times: [] as Array<number> }
          }),
        )
        const begin = performance.now()
        // The first round is a warm-up.
        for (let round = 0; round <= timing.rounds || performance.now() - begin < timing.milliseconds; round++) {
          for (const { step, times } of timed) {
            const start = performance.now()
            yield* step(batch!, { update: round + 1, learningRate: 0 })
            if (round > 0) times.push(performance.now() - start)
          }
          yield* listen
        }
        const milliseconds = Object.fromEntries(timed.map(({ policy, times }) => [policy, median(times)]))
        post({ type: "measured", timeSteps, milliseconds: milliseconds as Record<PolicyName, number> })
      }).pipe(Effect.scoped),
    )

    post({
      type: "started",
      classes: task.classes,
      backend,
      parameters: Graph.parameterCount(graph),
      testSamples: data.test.size,
    })
    return { run, look, faultOf, measure, pause, go: going.open }
  })

export type Session = Effect.Success<ReturnType<typeof makeSession>>
