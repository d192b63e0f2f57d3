/** The worker's settings, read from environment variables written by whoever deployed it. */
import type { DurableObjectNamespace } from "cloudflare:workers"
import { quote } from "@spikeroute/core/text"
import { DeploymentError } from "./deployment.ts"

export interface Env {
  readonly NETWORK: DurableObjectNamespace
  /** `wrangler secret put WRITE_TOKEN`. Without it, nobody can write. */
  readonly WRITE_TOKEN?: string
  readonly LEARNING_RATE?: string
}

/** Small, because each update follows a single sample. */
const defaultLearningRate = 0.003

export interface Settings {
  readonly token: string | undefined
  readonly learningRate: number
}

/**
 * The checked settings.
 *
 * @throws DeploymentError that names the setting
 */
export const settingsOf = ({
  WRITE_TOKEN: token,
  LEARNING_RATE: rate = String(defaultLearningRate),
}: Pick<Env, "WRITE_TOKEN" | "LEARNING_RATE">): Settings => {
  const learningRate = /^\s*$/.test(rate) ? Number.NaN : Math.fround(Number(rate))
  if (!(learningRate > 0 && learningRate <= 1))
    throw new DeploymentError(`LEARNING_RATE is ${quote(rate)}; it must be a number greater than 0, at most 1`)
  // Any other token cannot be sent in a header, so nobody could write, for no visible reason.
  if (token !== undefined && !/^[!-~]([ -~]*[!-~])?$/.test(token))
    throw new DeploymentError(
      "WRITE_TOKEN must be printable ASCII characters, at least one, without spaces at its ends",
    )
  return { token, learningRate }
}
