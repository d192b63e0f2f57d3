/** The processes of a command: this one, or all those that mpirun started. */
import { availableParallelism } from "node:os"
import { quote } from "@spikeroute/core"
import { Communicator, type CommunicatorError, local, mpi } from "@spikeroute/distributed"
import { Effect, Fiber, Layer } from "effect"
import { UsageError } from "./errors.ts"
import { speakAs } from "./terminal.ts"

/** The communicator between the processes. Only rank 0 writes progress and results. */
export const processes = (distributed: boolean): Layer.Layer<Communicator, CommunicatorError> => {
  if (!distributed) return local
  return Layer.effect(
    Communicator,
    Effect.gen(function* () {
      const communicator = yield* Communicator
      speakAs(communicator.rank)
      return communicator
    }),
  ).pipe(Layer.provide(mpi))
}

/** Threads per process if several processes share a machine; otherwise `undefined`. */
export const threadsOf = ({ neighbours }: Communicator["Service"]): number | undefined =>
  neighbours === 1 ? undefined : Math.max(1, Math.floor(availableParallelism() / neighbours))

/**
 * Runs an effect that several processes execute together. If one is interrupted, its `isWanted` returns true, and the effect agrees with
 * the other processes on where to stop. With a single process, the effect is interrupted as usual.
 */
export const together = <A, E, R>(
  { size }: Communicator["Service"],
  effect: (isWanted: () => boolean) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> => {
  let wanted = false
  if (size === 1) return effect(() => false)
  return Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.uninterruptible(effect(() => wanted)))
    return yield* Effect.onInterrupt(Fiber.join(fiber), () => {
      wanted = true
      return Fiber.await(fiber)
    })
  })
}

/** Fails if a process has different settings or data from rank 0. */
export const agree = (
  { gather }: Communicator["Service"],
  settings: Readonly<Record<string, unknown>>,
): Effect.Effect<void, CommunicatorError | UsageError> =>
  Effect.gen(function* () {
    const all = yield* gather(new TextEncoder().encode(JSON.stringify(settings)))
    const [first = {}, ...others] = all.map((bytes) => JSON.parse(new TextDecoder().decode(bytes)))
    for (const [i, other] of others.entries())
      for (const setting of new Set([...Object.keys(first), ...Object.keys(other)]))
        if (JSON.stringify(first[setting]) !== JSON.stringify(other[setting]))
          return yield* new UsageError({
            reason: `rank ${i + 1} has another ${setting} than rank 0: ${quote(other[setting])}, not ${quote(first[setting])}`,
          })
  })
