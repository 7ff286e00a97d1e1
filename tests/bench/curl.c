/* The work of ends.h by libcurl (OpenSSL) and cJSON, the usual way: the request is a tree that is
 * printed, the response a string that is parsed. */
#define _GNU_SOURCE
#include "ends.h"
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <openssl/evp.h>

typedef struct bytes {
    char *data;
    size_t size, room;
} bytes;

static CURL *curl;

static size_t collect(char *data, size_t one, size_t size, void *context)
{
    bytes *b = (bytes *)context;

    (void)one;
    if (b->size + size + 1 > b->room) {
        b->room = (b->size + size + 1) * 2;
        b->data = (char *)realloc(b->data, b->room);
        check(b->data != NULL, "realloc");
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
    return size;
}

static void add_file(cJSON *list, const char *name)
{
    unsigned char *data = (unsigned char *)malloc(FILE_SIZE);
    char *base64 = (char *)malloc(FILE_SIZE / 3 * 4 + 8);
    cJSON *file = cJSON_CreateObject();

    check(data != NULL && base64 != NULL && file != NULL, "malloc");
    file_bytes(data, 0, FILE_SIZE);
    EVP_EncodeBlock((unsigned char *)base64, data, FILE_SIZE);
    cJSON_AddStringToObject(file, "filename", name);
    cJSON_AddStringToObject(file, "content_base64", base64);
    cJSON_AddItemToArray(list, file);
    free(data);
    free(base64);
}

static char *request(void)
{
    cJSON *root = cJSON_CreateObject(), *files;
    char *text;

    cJSON_AddStringToObject(root, "language", the_work == DOWNLOAD ? LARGE : "python");
    cJSON_AddStringToObject(root, "code", HELLO_CODE);
    if (the_work == UPLOAD) {
        files = cJSON_AddArrayToObject(root, "input_files");
        add_file(files, "0");
        add_file(files, "1");
    }
    text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    check(text != NULL, "cJSON");
    return text;
}

static void once(void)
{
    bytes answer = {NULL, 0, 0};
    char *body = request();
    const cJSON *out;
    cJSON *root;
    CURLcode rc;

    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    rc = curl_easy_perform(curl);
    if (rc != CURLE_OK)
        fprintf(stderr, "%s\n", curl_easy_strerror(rc));
    check(rc == CURLE_OK, "curl_easy_perform");
    root = cJSON_ParseWithLength(answer.data, answer.size);
    out = cJSON_GetObjectItem(root, "stdout");
    check(cJSON_IsTrue(cJSON_GetObjectItem(root, "success")) && cJSON_IsString(out) &&
              (the_work == DOWNLOAD ? strlen(out->valuestring) > LARGE_LEAST
                                    : strcmp(out->valuestring, "hello world\n") == 0),
          "answer");
    cJSON_Delete(root);
    free(answer.data);
    free(body);
}

int main(int argc, char **argv)
{
    struct curl_slist *fields = NULL;
    char url[300];
    unsigned i;

    parse(argc, argv);
    curl_global_init(CURL_GLOBAL_ALL);
    curl = curl_easy_init();
    check(curl != NULL, "curl");
    snprintf(url, sizeof url, "%s/execute", argv[3]);
    fields = curl_slist_append(fields, "Authorization: Bearer " KEY);
    fields = curl_slist_append(fields, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_CAINFO, argv[4]);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, the_way == KEPT ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, the_way == FRESH ? 0L : 1L);
    if (the_work == HELLO)
        once(); /* what is done but once in a process is not counted, nor the first session */
    measure_begin();
    CALLGRIND_TOGGLE_COLLECT;
    for (i = 0; i < the_times; i++)
        once();
    CALLGRIND_TOGGLE_COLLECT;
    measure_end(0);
    curl_easy_cleanup(curl);
    curl_slist_free_all(fields);
    curl_global_cleanup();
    return 0;
}
