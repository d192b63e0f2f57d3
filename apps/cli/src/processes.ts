/** The processes of a command: this one alone, or those that mpirun started. */
import { availableParallelism } from "node:os"
import { quote } from "@spikeroute/core"
import { Communicator, type CommunicatorError, local, mpi } from "@spikeroute/distributed"
import { Effect, Fiber, Layer } from "effect"
import { UsageError } from "./errors.ts"
import { speakAs } from "./terminal.ts"

/** The processes as a service. The first speaks for all. */
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

/** Threads of each process, where several share the processors of a machine. */
export const threadsOf = ({ neighbours }: Communicator["Service"]): number | undefined =>
  neighbours === 1 ? undefined : Math.max(1, Math.floor(availableParallelism() / neighbours))

/**
 * Runs an effect of several processes, which are interrupted together: an interruption of one is asked for by `isWanted`, for the effect to agree
 * with the others on where it ends itself. Of one process it is interrupted as usual.
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

/** Fails where processes were given other settings or data than the first. */
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
