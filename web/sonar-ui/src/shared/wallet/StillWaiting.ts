import { Refusal } from "@openmined/shared/ui";

/** A transaction that was sent and is in no block yet: whoever keeps its hash can go on following it. */
export class StillWaiting extends Refusal {
  override name = "StillWaiting";
  constructor() {
    super("Still not in a block", "The transaction was sent and is waiting. Go on from here later: it is not sent a second time.");
  }
}
