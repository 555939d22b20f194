// What Adobe documents and @types/photoshop 25.0.4 does not have yet.

import "photoshop/dom/CoreModules";
import "photoshop/dom/ImagingModule";

declare module "photoshop/dom/CoreModules" {
  namespace photoshopAction {
    /** 25.0: adds a step to the Action that is being recorded. */
    function recordAction(step: { name: string; methodName: string }, info: object): Promise<void>;
  }
  interface ExecuteAsModalOptions {
    /** 25.10: seconds for which a busy host is tried again. */
    timeOut?: number;
  }
}
