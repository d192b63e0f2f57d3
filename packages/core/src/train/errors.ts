/** Errors that only training has; separate, so that inference bundles do not contain them. */
import { Data } from "effect"
import { quote } from "../text.ts"

/**
 * A step produced a loss, outputs, a gradient or a running statistic that is not finite, from finite data. Nothing was updated:
 * weights, running statistics and the optimiser's state are those from before the step.
 */
export class NonFiniteLossError extends Data.Error<{
  /** Number of the batch, counted from 1 over all epochs. */
  readonly update: number
  readonly what: "loss" | "gradient" | "statistic"
  /**
   * For a loss: the first layer of neurons, in order of execution, whose membrane is not finite, else the read-out. Otherwise the
   * parameter or statistic.
   */
  readonly layer: string
  /** The largest absolute values of inputs and parameters. */
  readonly largestInput: number
  readonly largestWeight: number
}> {
  readonly _tag = "NonFiniteLossError"
  override readonly name = "NonFiniteLossError"

  override get message(): string {
    const { what, update, layer, largestInput, largestWeight } = this
    const where =
      what === "loss"
        ? `the loss is not finite at update ${update}: the first such values are in ${layer}`
        : `the ${what} of ${layer} is not finite at update ${update}`
    const advice =
      largestInput > largestWeight
        ? `inputs reach ${largestInput.toPrecision(2)}: scale them down`
        : `weights reach ${largestWeight.toPrecision(2)}: resume from an earlier checkpoint with a lower learning rate`
    return `${where}; nothing was updated. The ${advice}`
  }
}

/** A label is not a class of the network. Nothing has been run. */
export class LabelError extends Data.Error<{
  /** `labels` or `next.labels`. */
  readonly what: string
  /** Index of the sample, counted from 0; for labels per time step, also that of the step. */
  readonly sample: number
  readonly step?: number
  readonly label: unknown
  readonly classes: number
}> {
  readonly _tag = "LabelError"
  override readonly name = "LabelError"

  override get message(): string {
    const { what, sample, step, label, classes } = this
    return `${what}: sample ${sample} has the label ${quote(label)}${step === undefined ? "" : ` at step ${step}`}; labels are class numbers from 0 to ${classes - 1}`
  }
}
