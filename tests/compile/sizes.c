/* Not run: `nm -S` reads the sizes of these off the object file, for whatever machine it is. */
#include "unsandbox.h"

char unsb_client_[sizeof(unsb_client)];
char unsb_result_[sizeof(unsb_result)];
char unsb_program_[sizeof(unsb_program)];
char unsb_config_[sizeof(unsb_config)];
char unsb_json_reader_[sizeof(unsb_json_reader)];
char unsb_http_[sizeof(unsb_http)];
